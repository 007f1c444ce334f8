-- +goose NO TRANSACTION
-- +goose Up

CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY,
    login         TEXT    NOT NULL UNIQUE,
    display_name  TEXT    NOT NULL,
    deactivated   INTEGER NOT NULL,
    password_hash TEXT    NOT NULL, -- PHC string; empty: no sign-in with a password
    created_at    INTEGER NOT NULL  -- µs since 1970, as every created_at here
) WITHOUT ROWID;

CREATE TABLE workspaces (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    shard      INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- joined_by, left_by: the outbox row whose seq belongs into joined_seq, left_seq. The seq is 0 until that row
-- has one.
CREATE TABLE members (
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    user_id      TEXT    NOT NULL REFERENCES users (id),
    role         TEXT    NOT NULL,
    joined_by    INTEGER NOT NULL,
    joined_seq   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, user_id)
) WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id, workspace_id);
CREATE UNIQUE INDEX members_by_outbox ON members (joined_by);

CREATE TABLE channels (
    id           TEXT    NOT NULL PRIMARY KEY,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    name         TEXT,              -- NULL: dm and group_dm
    people       TEXT,              -- the sorted user ids of a dm or group_dm; NULL: others
    type         TEXT    NOT NULL,
    topic        TEXT    NOT NULL,
    archived     INTEGER NOT NULL,
    creator_id   TEXT    NOT NULL REFERENCES users (id),
    created_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX channels_by_workspace ON channels (workspace_id, id);
CREATE UNIQUE INDEX channel_names ON channels (workspace_id, name) WHERE name IS NOT NULL;
CREATE UNIQUE INDEX channel_people ON channels (workspace_id, people) WHERE people IS NOT NULL;

-- A row for each time in a channel; open while left_by is NULL, and one user has at most one open.
CREATE TABLE tenures (
    channel_id TEXT    NOT NULL REFERENCES channels (id),
    user_id    TEXT    NOT NULL REFERENCES users (id),
    joined_by  INTEGER NOT NULL,
    left_by    INTEGER,
    joined_seq INTEGER NOT NULL DEFAULT 0,
    left_seq   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, user_id, joined_by)
) WITHOUT ROWID;
CREATE UNIQUE INDEX open_tenures ON tenures (channel_id, user_id) WHERE left_by IS NULL;
CREATE INDEX tenures_by_user ON tenures (user_id, channel_id);
CREATE UNIQUE INDEX tenures_by_joined ON tenures (joined_by);
CREATE UNIQUE INDEX tenures_by_left ON tenures (left_by) WHERE left_by IS NOT NULL;

CREATE TABLE signing_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    seed       BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- What is owed to the log. A row goes when its seq is recorded; AUTOINCREMENT: its id is never used again.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    shard        INTEGER NOT NULL,
    event        BLOB    NOT NULL, -- the bytes to be stored (schemas/event)
    created_at   INTEGER NOT NULL
);
CREATE INDEX outbox_by_workspace ON outbox (workspace_id, id);

-- +goose Down
DROP TABLE outbox;
DROP TABLE signing_keys;
DROP TABLE tenures;
DROP TABLE channels;
DROP TABLE members;
DROP TABLE workspaces;
DROP TABLE users;
