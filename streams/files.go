package streams

import (
	"embed"
	"io/fs"
)

//go:embed *.json
var files embed.FS

//go:embed leaf/*.json
var leafFiles embed.FS

// Files are the streams and consumers of the hub as JSON, one a file: <STREAM>.json is what
// `nats stream add --config` reads, <STREAM>.<consumer>.json what `nats consumer add --config` reads.
// They say what a cluster of three has; streams/provision adapts them to a hub that is alone.
func Files() fs.FS { return files }

// LeafFiles are the streams of a leaf's own JetStream domain, in the same form. They are apart from Files because the
// hub must not have them: a bucket of the same name there would be another bucket.
func LeafFiles() fs.FS {
	sub, err := fs.Sub(leafFiles, "leaf")
	if err != nil {
		panic(err) // the only cause would be the name above
	}
	return sub
}
