//go:build linux

package cassandrajars

import "context"

// Pom asks for the jars; Version is what they are kept as.
var Pom = pom

const Version = cassandraVersion

// FindJava is the java that would be taken.
func FindJava(ctx context.Context, javaHome, jvms string) (string, error) {
	j, err := findJava(ctx, javaHome, jvms)
	return j.path, err
}
