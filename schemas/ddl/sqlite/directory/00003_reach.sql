-- +goose NO TRANSACTION
-- +goose Up

-- The times in a channel whose beginning or end is on its way to the log.
CREATE INDEX tenures_owed ON tenures (channel_id) WHERE joined_seq = 0 OR (left_by IS NOT NULL AND left_seq = 0);

-- What people want to be woken for, as JSON (schemas/chat), without the words that they watch: those are read for every
-- message. Who leaves the workspace and comes back finds theirs.
CREATE TABLE preferences (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    user_id      TEXT NOT NULL REFERENCES users (id),
    preferences  TEXT NOT NULL,
    keywords     TEXT, -- a list as JSON; NULL: none
    PRIMARY KEY (workspace_id, user_id)
) WITHOUT ROWID;
CREATE INDEX watchers ON preferences (workspace_id, user_id) WHERE keywords IS NOT NULL;

-- What people say about threads.
CREATE TABLE follows (
    channel_id TEXT    NOT NULL REFERENCES channels (id),
    root       INTEGER NOT NULL,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    follows    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (channel_id, root, user_id)
) WITHOUT ROWID;
CREATE INDEX follows_by_time ON follows (channel_id, root, at, user_id);

CREATE TABLE push_subscriptions (
    id         TEXT    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    endpoint   TEXT    NOT NULL UNIQUE,
    p256dh     BLOB    NOT NULL,
    auth       BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX push_subscriptions_by_user ON push_subscriptions (user_id, created_at, id);

CREATE TABLE webhooks (
    id           TEXT    NOT NULL PRIMARY KEY,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    url          TEXT    NOT NULL,
    secret       BLOB    NOT NULL,
    created_by   TEXT    NOT NULL REFERENCES users (id),
    created_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhooks_by_workspace ON webhooks (workspace_id, created_at, id);

-- What the deployment made once.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE secrets;
DROP TABLE webhooks;
DROP TABLE push_subscriptions;
DROP TABLE follows;
DROP TABLE preferences;
DROP INDEX tenures_owed;
