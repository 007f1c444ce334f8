//go:build linux

package engines

import "path/filepath"

// FindPostgres is where PostgreSQL is.
var FindPostgres = findPostgres

// Render is a file of a node's configuration, for a node in the folder dir.
func Render(name, dir string) ([]byte, error) {
	return nodeConf{
		Dir: dir, Host: "127.0.7.2", Port: 9042, StoragePort: storagePort, JMX: 20001, Seeds: "127.0.7.1:7000,127.0.7.2:7000",
		Jars: "/cache/cassandra", Agent: "/cache/cassandra/jamm-0.4.0.jar", Config: "file://" + filepath.Join(dir, "conf/cassandra.yaml"),
	}.render(name)
}

// Sees tells whether a log has a node up.
var Sees = sees
