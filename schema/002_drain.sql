-- Who took a cluster out and where its new messages go meanwhile, hosts taken out one by one, and a number by
-- which routers see at every poll, with one small query, that they have to read again.
--
-- Columns that are there already are no error: `db sync` goes on after a migration that was cut off half-way.
ALTER TABLE clusters
    ADD COLUMN state_by VARCHAR(255) NULL DEFAULT NULL,
    ADD COLUMN drain_to VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL DEFAULT NULL;

-- A host without a row is ready. What stands here is of one life of a cluster: a new one of the same name has
-- another id.
CREATE TABLE IF NOT EXISTS host_state (
    cluster_id BIGINT NOT NULL,
    host VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    state ENUM('ready', 'drain') NOT NULL DEFAULT 'ready',
    state_reason VARCHAR(255) NULL DEFAULT NULL,
    state_since TIMESTAMP NULL DEFAULT NULL,
    state_by VARCHAR(255) NULL DEFAULT NULL,
    PRIMARY KEY (cluster_id, host)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS catalogue_change (
    id TINYINT NOT NULL PRIMARY KEY,
    serial BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

INSERT IGNORE INTO catalogue_change (id, serial) VALUES (1, 1);
