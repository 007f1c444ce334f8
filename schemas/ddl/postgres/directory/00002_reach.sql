-- +goose Up

-- The times in a channel whose beginning or end is on its way to the log.
CREATE INDEX tenures_owed ON tenures (channel_id) WHERE joined_seq = 0 OR (left_by IS NOT NULL AND left_seq = 0);

-- What people want to be woken for, as JSON (schemas/chat), without the words that they watch: those are read for every
-- message. Who leaves the workspace and comes back finds theirs.
CREATE TABLE preferences (
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id),
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    preferences  TEXT COLLATE "C" NOT NULL,
    keywords     TEXT COLLATE "C", -- a list as JSON; NULL: none
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX watchers ON preferences (workspace_id, user_id) WHERE keywords IS NOT NULL;

-- What people say about threads.
CREATE TABLE follows (
    channel_id TEXT    COLLATE "C" NOT NULL REFERENCES channels (id),
    root       BIGINT  NOT NULL,
    user_id    TEXT    COLLATE "C" NOT NULL REFERENCES users (id),
    follows    BOOLEAN NOT NULL,
    at         BIGINT  NOT NULL,
    PRIMARY KEY (channel_id, root, user_id)
);
CREATE INDEX follows_by_time ON follows (channel_id, root, at, user_id);

-- An endpoint has at most chat.MaxHookURL bytes, which is less than an index takes.
CREATE TABLE push_subscriptions (
    id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    user_id    TEXT   COLLATE "C" NOT NULL REFERENCES users (id),
    endpoint   TEXT   COLLATE "C" NOT NULL UNIQUE,
    p256dh     BYTEA  NOT NULL,
    auth       BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX push_subscriptions_by_user ON push_subscriptions (user_id, created_at, id);

CREATE TABLE webhooks (
    id           TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    workspace_id TEXT   COLLATE "C" NOT NULL REFERENCES workspaces (id),
    url          TEXT   COLLATE "C" NOT NULL,
    secret       BYTEA  NOT NULL,
    created_by   TEXT   COLLATE "C" NOT NULL REFERENCES users (id),
    created_at   BIGINT NOT NULL
);
CREATE INDEX webhooks_by_workspace ON webhooks (workspace_id, created_at, id);

-- What the deployment made once.
CREATE TABLE secrets (
    name  TEXT  COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- +goose Down
DROP TABLE secrets;
DROP TABLE webhooks;
DROP TABLE push_subscriptions;
DROP TABLE follows;
DROP TABLE preferences;
DROP INDEX tenures_owed;
