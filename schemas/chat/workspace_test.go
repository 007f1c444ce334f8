package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
)

var roles = []chat.Role{chat.RoleOwner, chat.RoleAdmin, chat.RoleMember, chat.RoleGuest, "", "root"}

// What roles may do to roles; whatever is not here, they may not. An arrow is a change from one role to another.
const powers = `
owner invites admin member guest
admin invites admin member guest

owner removes owner admin member guest
admin removes admin member guest

owner sets owner>owner owner>admin owner>member owner>guest
owner sets admin>owner admin>admin admin>member admin>guest
owner sets member>owner member>admin member>member member>guest
owner sets guest>owner guest>admin guest>member guest>guest
admin sets admin>admin admin>member admin>guest
admin sets member>admin member>member member>guest
admin sets guest>admin guest>member guest>guest
`

func TestWhatRolesMayDoToRoles(t *testing.T) {
	want := map[string]bool{}
	for line := range strings.Lines(powers) {
		if f := strings.Fields(line); len(f) > 2 {
			for _, what := range f[2:] {
				want[f[0]+" "+f[1]+" "+what] = true
			}
		}
	}
	check := func(may bool, format string, args ...any) {
		t.Helper()
		if what := fmt.Sprintf(format, args...); may != want[what] {
			t.Errorf("%s: %v", what, may)
		}
	}
	for _, by := range roles {
		for _, of := range roles {
			check(chat.MayInvite(by, of), "%s invites %s", by, of)
			check(chat.MayRemoveMember(by, of), "%s removes %s", by, of)
			for _, to := range roles {
				check(chat.MaySetRole(by, of, to), "%s sets %s>%s", by, of, to)
			}
		}
		if got := chat.MayUpdateWorkspace(by); got != by.Administers() {
			t.Errorf("%s renames a workspace: %v", by, got)
		}
	}
}
