package localcluster

import (
	"os"
	"testing"
)

// cluster is the one that the tests of this package share.
var cluster *Cluster

func TestMain(m *testing.M) {
	if end := os.Getenv(endEnv); end != "" {
		runChild(end)
		return
	}
	Main(m, &cluster)
}
