package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/registry"
)

// processes looks whether somebody lives in each role, well and of one version.
func (d Deployment) processes(ctx context.Context) (Level, string) {
	bucket, err := kv.Open(kv.Config{Conn: d.Conn, Domain: streams.HubDomain, Name: streams.BucketRegistry})
	if err != nil {
		return failed("%v", err)
	}
	all, err := registry.List(ctx, bucket)
	if err != nil {
		return failed("the registry cannot be read: %v", err)
	}
	alive, versions := map[string]int{}, map[string]bool{}
	var ill, missing []string
	for _, p := range all {
		versions[p.Version] = true
		if p.Healthy && !p.Draining {
			alive[p.Role]++
		} else {
			ill = append(ill, strings.TrimSpace(fmt.Sprintf("%s %s %s", p.Role, p.ID, p.Detail)))
		}
	}
	for _, role := range []string{string(streams.ServiceAPI), string(streams.ServiceDeliver), string(streams.ServiceGateway), string(streams.ServicePersist)} {
		if alive[role] == 0 {
			missing = append(missing, role)
		}
	}
	slices.Sort(ill)
	switch {
	case len(missing) > 0:
		return failed("nobody is ready in the role %s", strings.Join(missing, ", "))
	case len(ill) > 0:
		return Warn, "not ready: " + strings.Join(ill, "; ")
	case len(versions) > 1:
		return Warn, fmt.Sprintf("processes of %d versions: finish the upgrade", len(versions))
	case d.Version != "" && !versions[d.Version]:
		return Warn, fmt.Sprintf("they are of another version than this program, %s", d.Version)
	}
	return OK, fmt.Sprintf("%d, all ready", len(all))
}
