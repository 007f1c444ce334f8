-- +goose Up

-- Ids and names sort by their bytes, as everywhere in Canopy, whatever the database's language is: COLLATE "C".

CREATE TABLE users (
    id            TEXT    COLLATE "C" NOT NULL PRIMARY KEY,
    login         TEXT    COLLATE "C" NOT NULL UNIQUE,
    display_name  TEXT    COLLATE "C" NOT NULL,
    deactivated   BOOLEAN NOT NULL,
    password_hash TEXT    COLLATE "C" NOT NULL, -- PHC string; empty: no sign-in with a password
    created_at    BIGINT  NOT NULL              -- µs since 1970, as every created_at here
);

CREATE TABLE workspaces (
    id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT   COLLATE "C" NOT NULL,
    shard      BIGINT NOT NULL,
    epoch      BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- joined_by, left_by: the outbox row whose seq belongs into joined_seq, left_seq. The seq is 0 until that row
-- has one.
CREATE TABLE members (
    workspace_id TEXT   COLLATE "C" NOT NULL REFERENCES workspaces (id),
    user_id      TEXT   COLLATE "C" NOT NULL REFERENCES users (id),
    role         TEXT   COLLATE "C" NOT NULL,
    joined_by    BIGINT NOT NULL,
    joined_seq   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX members_by_user ON members (user_id, workspace_id);
CREATE UNIQUE INDEX members_by_outbox ON members (joined_by);
CREATE INDEX owners ON members (workspace_id, user_id) WHERE role = 'owner';

CREATE TABLE channels (
    id           TEXT    COLLATE "C" NOT NULL PRIMARY KEY,
    workspace_id TEXT    COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name         TEXT    COLLATE "C",              -- NULL: dm and group_dm
    people       TEXT    COLLATE "C",              -- the sorted user ids of a dm or group_dm; NULL: others
    type         TEXT    COLLATE "C" NOT NULL,
    topic        TEXT    COLLATE "C" NOT NULL,
    archived     BOOLEAN NOT NULL,
    creator_id   TEXT    COLLATE "C" NOT NULL REFERENCES users (id),
    created_at   BIGINT  NOT NULL
);
CREATE INDEX channels_by_workspace ON channels (workspace_id, id);
CREATE UNIQUE INDEX channel_names ON channels (workspace_id, name) WHERE name IS NOT NULL;
CREATE UNIQUE INDEX channel_people ON channels (workspace_id, people) WHERE people IS NOT NULL;

-- A row for each time in a channel; open while left_by is NULL, and one user has at most one open. role is what
-- somebody is in it; of a time that has ended it says nothing.
CREATE TABLE tenures (
    channel_id TEXT   COLLATE "C" NOT NULL REFERENCES channels (id),
    user_id    TEXT   COLLATE "C" NOT NULL REFERENCES users (id),
    joined_by  BIGINT NOT NULL,
    left_by    BIGINT,
    joined_seq BIGINT NOT NULL DEFAULT 0,
    left_seq   BIGINT NOT NULL DEFAULT 0,
    role       TEXT   COLLATE "C" NOT NULL DEFAULT 'member',
    PRIMARY KEY (channel_id, user_id, joined_by)
);
CREATE UNIQUE INDEX open_tenures ON tenures (channel_id, user_id) WHERE left_by IS NULL;
CREATE INDEX tenures_by_user ON tenures (user_id, channel_id);
CREATE UNIQUE INDEX tenures_by_joined ON tenures (joined_by);
CREATE UNIQUE INDEX tenures_by_left ON tenures (left_by) WHERE left_by IS NOT NULL;

CREATE TABLE signing_keys (
    id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    seed       BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);

-- What is owed to the log. A row goes when its seq is recorded. Its id is taken under the lock of its workspace's
-- row, one at a time (no CACHE), so that the ids of a workspace rise in the order of the commits.
CREATE TABLE outbox (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id TEXT   COLLATE "C" NOT NULL REFERENCES workspaces (id),
    shard        BIGINT NOT NULL,
    event        BYTEA  NOT NULL, -- the bytes to be stored (schemas/event)
    created_at   BIGINT NOT NULL
);
CREATE INDEX outbox_by_workspace ON outbox (workspace_id, id);

-- What a relay locks while it publishes the rows of a workspace: a row for each workspace, which nothing else touches.
CREATE TABLE outbox_claims (
    workspace_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE
);

-- +goose StatementBegin
CREATE FUNCTION outbox_claim_of() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox_claims (workspace_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER outbox_claim_of AFTER INSERT ON workspaces FOR EACH ROW EXECUTE FUNCTION outbox_claim_of();

-- Tells all relays at the commit; of one transaction once, however many rows it wrote.
-- +goose StatementBegin
CREATE FUNCTION outbox_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY canopy_outbox;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER outbox_written AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_written();

-- The highest seq that was recorded of each shard. A membership that goes takes its own away; this one stays.
CREATE TABLE recorded (
    shard BIGINT NOT NULL PRIMARY KEY,
    seq   BIGINT NOT NULL
);

-- Secrets are here as their SHA-256. Times are µs since 1970, and 0 is never.
CREATE TABLE sign_ins (
    id          TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    user_id     TEXT   COLLATE "C" NOT NULL REFERENCES users (id),
    device      TEXT   COLLATE "C" NOT NULL,
    address     TEXT   COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    used_at     BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    revoked_at  BIGINT NOT NULL DEFAULT 0,
    unannounced BIGINT NOT NULL DEFAULT 0 -- 1: revoked, and not announced yet
);
CREATE INDEX sign_ins_by_user ON sign_ins (user_id, used_at, id) WHERE revoked_at = 0;
CREATE INDEX sign_ins_unannounced ON sign_ins (revoked_at, id) WHERE unannounced = 1;
CREATE INDEX sign_ins_to_forget ON sign_ins (expires_at) WHERE unannounced = 0;

-- Every refresh token that a sign-in had; the one of the highest place is the newest. used_at 0: not used.
CREATE TABLE refresh_tokens (
    sign_in_id TEXT   COLLATE "C" NOT NULL REFERENCES sign_ins (id),
    secret     BYTEA  NOT NULL,
    place      BIGINT NOT NULL,
    used_at    BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (sign_in_id, secret)
);
CREATE UNIQUE INDEX refresh_tokens_by_place ON refresh_tokens (sign_in_id, place);

CREATE TABLE tickets (
    secret     BYTEA  NOT NULL PRIMARY KEY,
    sign_in_id TEXT   COLLATE "C" NOT NULL REFERENCES sign_ins (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tickets_by_sign_in ON tickets (sign_in_id);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);

CREATE TABLE invites (
    id           TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    workspace_id TEXT   COLLATE "C" NOT NULL REFERENCES workspaces (id),
    code         BYTEA  NOT NULL UNIQUE,
    role         TEXT   COLLATE "C" NOT NULL,
    address      TEXT   COLLATE "C" NOT NULL, -- of e-mail; empty: a link for anybody
    invited_by   TEXT   COLLATE "C" NOT NULL REFERENCES users (id),
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    max_uses     BIGINT NOT NULL,
    uses         BIGINT NOT NULL DEFAULT 0,
    revoked_at   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX invites_by_workspace ON invites (workspace_id, id) WHERE revoked_at = 0 AND uses < max_uses;
CREATE INDEX invites_by_expiry ON invites (expires_at);

CREATE TABLE invite_channels (
    invite_id  TEXT   COLLATE "C" NOT NULL REFERENCES invites (id) ON DELETE CASCADE,
    place      BIGINT NOT NULL,
    channel_id TEXT   COLLATE "C" NOT NULL REFERENCES channels (id),
    PRIMARY KEY (invite_id, place)
);

-- status 0: the request is being done, by whoever began it at begun_at, who may be gone after leased_until.
CREATE TABLE idempotency (
    user_id      TEXT   COLLATE "C" NOT NULL REFERENCES users (id),
    key          TEXT   COLLATE "C" NOT NULL,
    request      BYTEA  NOT NULL,
    begun_at     BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    status       BIGINT NOT NULL DEFAULT 0,
    body         BYTEA,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_by_age ON idempotency (begun_at);

-- +goose Down
DROP TABLE idempotency;
DROP TABLE invite_channels;
DROP TABLE invites;
DROP TABLE tickets;
DROP TABLE refresh_tokens;
DROP TABLE sign_ins;
DROP TABLE recorded;
DROP TABLE outbox;
DROP TABLE outbox_claims;
DROP TABLE signing_keys;
DROP TABLE tenures;
DROP TABLE channels;
DROP TABLE members;
DROP TABLE workspaces;
DROP TABLE users;
DROP FUNCTION outbox_written;
DROP FUNCTION outbox_claim_of;
