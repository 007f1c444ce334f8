-- +goose NO TRANSACTION
-- +goose Up

-- Up to where a device has got everything of a workspace: the highest version (epoch << 48 | seq) wins, and of two times of one
-- version the earlier.
CREATE TABLE device_cursors (
    workspace_id TEXT    NOT NULL,
    user_id      TEXT    NOT NULL,
    device_id    TEXT    NOT NULL, -- of a sign-in
    version      INTEGER NOT NULL,
    at           INTEGER NOT NULL, -- ns since 1970; 0: not known
    heard_at     INTEGER NOT NULL, -- the latest time of this version, by which the row is forgotten
    PRIMARY KEY (workspace_id, user_id, device_id)
) WITHOUT ROWID;

CREATE INDEX device_cursors_by_heard_at ON device_cursors (heard_at);

-- What became of a message that was owed to a user and that no device confirmed in time: the highest rank wins.
CREATE TABLE deliveries (
    workspace_id TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    user_id      TEXT    NOT NULL,
    rank         INTEGER NOT NULL,
    state        TEXT    NOT NULL, -- all of it, in JSON
    at           INTEGER NOT NULL, -- ms since 1970, of the state, by which the row is forgotten
    PRIMARY KEY (workspace_id, seq, user_id)
) WITHOUT ROWID;

CREATE INDEX deliveries_by_at ON deliveries (at);

-- +goose Down
DROP TABLE deliveries;
DROP TABLE device_cursors;
