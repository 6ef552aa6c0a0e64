-- What each router counted in each minute (docs/statistics.md names the counters). A row is written only for
-- what is not 0. `minute` is UTC and the minute's beginning; `cluster` is empty for what a route counts as a
-- whole; an outcome by reason is the statistic `reasons/CODE`.
--
-- A router that is started again within a minute adds to its row.
CREATE TABLE IF NOT EXISTS route_stats (
    minute DATETIME NOT NULL,
    router VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    route VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    cluster VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    statistic VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    value BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (minute, router, route, cluster, statistic)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
