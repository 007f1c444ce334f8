-- +goose NO TRANSACTION
-- +goose Up

-- What somebody is in a channel. Who created one manages it. Of a time that has ended it says nothing.
ALTER TABLE tenures ADD COLUMN role TEXT NOT NULL DEFAULT 'member';
UPDATE tenures SET role = 'manager' WHERE left_by IS NULL AND EXISTS (
    SELECT 1 FROM channels AS c WHERE c.id = tenures.channel_id AND c.creator_id = tenures.user_id AND c.type IN ('public', 'private'));

CREATE INDEX owners ON members (workspace_id, user_id) WHERE role = 'owner';

-- The highest seq that was recorded of each shard. A membership that goes takes its own away; this one stays.
CREATE TABLE recorded (
    shard INTEGER NOT NULL PRIMARY KEY,
    seq   INTEGER NOT NULL
);
INSERT INTO recorded (shard, seq)
    SELECT shard, max(seq) FROM (
        SELECT w.shard AS shard, m.joined_seq AS seq FROM members AS m JOIN workspaces AS w ON w.id = m.workspace_id
        UNION ALL
        SELECT w.shard, max(t.joined_seq, t.left_seq) FROM tenures AS t
            JOIN channels AS c ON c.id = t.channel_id JOIN workspaces AS w ON w.id = c.workspace_id)
    GROUP BY shard;

-- Secrets are here as their SHA-256. Times are µs since 1970, and 0 is never.
CREATE TABLE sign_ins (
    id          TEXT    NOT NULL PRIMARY KEY,
    user_id     TEXT    NOT NULL REFERENCES users (id),
    device      TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    used_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER NOT NULL DEFAULT 0,
    unannounced INTEGER NOT NULL DEFAULT 0 -- 1: revoked, and not announced yet
) WITHOUT ROWID;
CREATE INDEX sign_ins_by_user ON sign_ins (user_id, used_at, id) WHERE revoked_at = 0;
CREATE INDEX sign_ins_unannounced ON sign_ins (revoked_at, id) WHERE unannounced = 1;
CREATE INDEX sign_ins_to_forget ON sign_ins (expires_at) WHERE unannounced = 0;

-- Every refresh token that a sign-in had; the one of the highest place is the newest. used_at 0: not used.
CREATE TABLE refresh_tokens (
    sign_in_id TEXT    NOT NULL REFERENCES sign_ins (id),
    secret     BLOB    NOT NULL,
    place      INTEGER NOT NULL,
    used_at    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sign_in_id, secret)
) WITHOUT ROWID;
CREATE UNIQUE INDEX refresh_tokens_by_place ON refresh_tokens (sign_in_id, place);

CREATE TABLE tickets (
    secret     BLOB    NOT NULL PRIMARY KEY,
    sign_in_id TEXT    NOT NULL REFERENCES sign_ins (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tickets_by_sign_in ON tickets (sign_in_id);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);

CREATE TABLE invites (
    id           TEXT    NOT NULL PRIMARY KEY,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    code         BLOB    NOT NULL UNIQUE,
    role         TEXT    NOT NULL,
    address      TEXT    NOT NULL, -- of e-mail; empty: a link for anybody
    invited_by   TEXT    NOT NULL REFERENCES users (id),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    max_uses     INTEGER NOT NULL,
    uses         INTEGER NOT NULL DEFAULT 0,
    revoked_at   INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX invites_by_workspace ON invites (workspace_id, id) WHERE revoked_at = 0 AND uses < max_uses;
CREATE INDEX invites_by_expiry ON invites (expires_at);

CREATE TABLE invite_channels (
    invite_id  TEXT    NOT NULL REFERENCES invites (id) ON DELETE CASCADE,
    place      INTEGER NOT NULL,
    channel_id TEXT    NOT NULL REFERENCES channels (id),
    PRIMARY KEY (invite_id, place)
) WITHOUT ROWID;

-- status 0: the request is being done, by whoever began it at begun_at, who may be gone after leased_until.
CREATE TABLE idempotency (
    user_id      TEXT    NOT NULL REFERENCES users (id),
    key          TEXT    NOT NULL,
    request      BLOB    NOT NULL,
    begun_at     INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    status       INTEGER NOT NULL DEFAULT 0,
    body         BLOB,
    PRIMARY KEY (user_id, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (begun_at);

-- +goose Down
DROP TABLE idempotency;
DROP TABLE invite_channels;
DROP TABLE invites;
DROP TABLE tickets;
DROP TABLE refresh_tokens;
DROP TABLE sign_ins;
DROP TABLE recorded;
DROP INDEX owners;
ALTER TABLE tenures DROP COLUMN role;
