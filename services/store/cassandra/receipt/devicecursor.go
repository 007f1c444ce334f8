package receipt

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

const (
	updateDevice = `UPDATE device_cursors USING TIMESTAMP ? SET places = ? WHERE workspace_id = ? AND user_id = ? AND device_id = ?`
	readDevices  = `SELECT device_id, places FROM device_cursors WHERE workspace_id = ? AND user_id = ?`
)

// place is a device's cursor and when it told so, as an element of its set: "version/at". A set, because of cells that expire and
// have one timestamp Cassandra keeps the one that expires later, and what counts is the earlier time.
type place struct {
	version int64
	at      int64 // ns since 1970; 0: not known, which is before all
}

func (p place) String() string {
	return strconv.FormatInt(p.version, 10) + "/" + strconv.FormatInt(p.at, 10)
}

func parsePlace(s string) (p place, err error) {
	version, at, _ := strings.Cut(s, "/")
	if p.version, err = strconv.ParseInt(version, 10, 64); err != nil {
		return p, err
	}
	p.at, err = strconv.ParseInt(at, 10, 64)
	return p, err
}

// counts reports whether p is before q in what counts: further, or as far and earlier.
func (p place) counts(q place) bool {
	return p.version > q.version || p.version == q.version && p.at < q.at
}

// SetDelivered implements store.DeviceCursors. One user's devices are a partition.
func (r *Receipts) SetDelivered(ctx context.Context, cursors []store.DeviceCursor) error {
	all := make([]rows.Row, 0, len(cursors))
	for _, c := range cursors {
		if err := store.CheckCursor(c.Cursor); err != nil {
			return err
		}
		p := place{version: int64(chat.VersionOf(c.Cursor.Epoch, c.Cursor.Seq))}
		if !c.At.IsZero() {
			p.at = c.At.UnixNano()
		}
		all = append(all, rows.Row{
			Partition: rows.Partition{Table: "device_cursors", Key: string(c.WorkspaceID) + "/" + string(c.UserID)}, // no id has a slash
			Write: ring.Write{Statement: updateDevice,
				Args: []any{p.version, []string{p.String()}, string(c.WorkspaceID), string(c.UserID), string(c.DeviceID)}},
			Size: rows.Overhead,
		})
	}
	if err := r.writer.Write(ctx, all); err != nil {
		return fmt.Errorf("move device cursors: %w", err)
	}
	return nil
}

// DevicesOf implements store.DeviceCursors, with one question for each user.
func (r *Receipts) DevicesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) ([]store.DeviceCursor, error) {
	if err := store.CheckUsers(users); err != nil {
		return nil, err
	}
	users = distinct(users)
	answers := make([][]store.DeviceCursor, len(users))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rows.InFlight)
	for i, user := range users {
		group.Go(func() (err error) {
			answers[i], err = rows.Query(ctx, r.db, ring.Read{Statement: readDevices, Args: []any{string(workspace), string(user)}},
				func(row ring.Row) (store.DeviceCursor, error) {
					return scanDevice(row, store.DeviceCursor{WorkspaceID: workspace, UserID: user})
				})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("read device cursors: %w", err)
	}
	return slices.Concat(answers...), nil
}

// scanDevice reads a cursor of whoever c says. An older place may stand beside the one that counts, when the write that
// took it away was forgotten before it was.
func scanDevice(row ring.Row, c store.DeviceCursor) (store.DeviceCursor, error) {
	var device string
	var places []string
	if err := row.Scan(&device, &places); err != nil {
		return c, err
	}
	var first place
	for _, s := range places {
		p, err := parsePlace(s)
		if err != nil {
			return c, fmt.Errorf("the place of device %s: %w", device, err)
		}
		if p.counts(first) {
			first = p
		}
	}
	c.DeviceID = token.SignInID(device)
	c.Cursor = cursorOf(first.version)
	if first.at != 0 {
		c.At = time.Unix(0, first.at).UTC()
	}
	return c, nil
}

// ForgetDevices implements store.DeviceCursors. It has nothing to do: rows expire by the tables' time to live, which every write
// of a row begins anew. A delete would need to read the whole ring first, and would leave tombstones where rows go by themselves.
func (r *Receipts) ForgetDevices(context.Context, time.Time) error { return nil }

// distinct is all with each user once, sorted.
func distinct(users []chat.UserID) []chat.UserID {
	return slices.Compact(slices.Sorted(slices.Values(users)))
}
