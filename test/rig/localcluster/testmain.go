package localcluster

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// Main is the TestMain of a package whose tests share one cluster: it starts the cluster into *c, runs the tests, stops
// the cluster and exits.
func Main(m *testing.M, c **Cluster) {
	os.Exit(func() (code int) {
		cluster, err := Start(context.Background(), Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() {
			if err := cluster.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}()
		*c = cluster
		return m.Run()
	}())
}
