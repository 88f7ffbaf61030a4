package kube_test

import (
	"testing"

	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// cluster is the API server that the tests of this package share.
var cluster *localcluster.Cluster

func TestMain(m *testing.M) { localcluster.Main(m, &cluster) }
