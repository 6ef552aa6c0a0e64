-- The clusters, as operators create and delete them.
--
-- Deleting is soft: the row stays with `deleted` = 1, and the name may be used again. `live_name` exists so
-- that the database itself refuses two live clusters of one name. Names are compared byte by byte, as they
-- are in messages and in redis.
--
-- Each statement ends with a semicolon at the end of a line, and can be repeated: a migration that was cut
-- off half-way is applied again from its beginning.
CREATE TABLE IF NOT EXISTS clusters (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    deleted TINYINT(1) NOT NULL DEFAULT 0,
    deleted_at TIMESTAMP NULL DEFAULT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    state ENUM('ready', 'drain') NOT NULL DEFAULT 'ready',
    state_reason VARCHAR(255) NULL DEFAULT NULL,
    state_since TIMESTAMP NULL DEFAULT NULL,
    live_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
        GENERATED ALWAYS AS (IF(deleted = 0, name, NULL)) VIRTUAL,
    UNIQUE KEY one_live_cluster_per_name (live_name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
