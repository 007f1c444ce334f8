-- +goose NO TRANSACTION
-- +goose Up

-- Up to where somebody has read a channel: the highest version (epoch << 48 | seq) wins.
CREATE TABLE read_cursors (
    workspace_id TEXT    NOT NULL,
    user_id      TEXT    NOT NULL,
    channel_id   TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    at           INTEGER NOT NULL, -- ns since 1970; 0: not known
    PRIMARY KEY (workspace_id, user_id, channel_id)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE read_cursors;
