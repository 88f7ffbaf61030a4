package localcluster

import (
	"os"
	"testing"
)

// cluster is the one that the tests of this package share.
var cluster *Cluster

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		runChild(dir, os.Getenv(endEnv))
		return
	}
	Main(m, &cluster)
}
