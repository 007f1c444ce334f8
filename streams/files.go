package streams

import (
	"embed"
	"io/fs"
)

//go:embed *.json
var files embed.FS

// Files are the streams and consumers of the hub as JSON, one a file: <STREAM>.json is what
// `nats stream add --config` reads, <STREAM>.<consumer>.json what `nats consumer add --config` reads.
// They say what a cluster of three has; streams/provision adapts them to a hub that is alone.
func Files() fs.FS { return files }
