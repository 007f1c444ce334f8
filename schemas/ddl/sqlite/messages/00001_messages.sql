-- +goose NO TRANSACTION
-- +goose Up

-- One row a message. A row may exist before its post was applied: then post_version is 0 and no reader sees it.
-- Each group of columns is written under the version (epoch << 48 | seq) of the event that caused it, and
-- only by a higher one. A delete writes the text with bit 62 set in its version.
CREATE TABLE messages (
    channel_id    TEXT    NOT NULL,
    seq           INTEGER NOT NULL,
    -- by the post
    post_version  INTEGER NOT NULL DEFAULT 0,
    sender_id     TEXT    NOT NULL DEFAULT '',
    client_msg_id TEXT    NOT NULL DEFAULT '',
    thread        INTEGER NOT NULL DEFAULT 0,
    posted_at     INTEGER NOT NULL DEFAULT 0, -- ns since 1970
    attachments   TEXT,                       -- a JSON array; NULL: none, or deleted
    -- by the post, edits and the delete
    text_version  INTEGER NOT NULL DEFAULT 0,
    body          TEXT    NOT NULL DEFAULT '',
    edited_at     INTEGER NOT NULL DEFAULT 0, -- ns since 1970; 0: never
    deleted       INTEGER NOT NULL DEFAULT 0,
    -- by pins
    pin_version   INTEGER NOT NULL DEFAULT 0,
    pinned        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, seq)
) WITHOUT ROWID;

CREATE INDEX messages_by_thread ON messages (channel_id, thread, seq) WHERE thread > 0;
CREATE INDEX pins_by_channel ON messages (channel_id, seq) WHERE pinned = 1 AND deleted = 0;

-- An element of a set: present or not, by the highest version.
CREATE TABLE reactions (
    channel_id  TEXT    NOT NULL,
    message_seq INTEGER NOT NULL,
    emoji       TEXT    NOT NULL,
    user_id     TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    present     INTEGER NOT NULL,
    PRIMARY KEY (channel_id, message_seq, emoji, user_id)
) WITHOUT ROWID;

-- The first send of a client_msg_id: the lowest version wins.
CREATE TABLE sends_by_client_id (
    workspace_id  TEXT    NOT NULL,
    sender_id     TEXT    NOT NULL,
    client_msg_id TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    channel_id    TEXT    NOT NULL,
    PRIMARY KEY (workspace_id, sender_id, client_msg_id)
) WITHOUT ROWID;

-- Up to where each shard has been applied. It only grows.
CREATE TABLE progress (
    shard INTEGER NOT NULL PRIMARY KEY,
    seq   INTEGER NOT NULL
);

-- +goose Down
DROP TABLE progress;
DROP TABLE sends_by_client_id;
DROP TABLE reactions;
DROP TABLE messages;
