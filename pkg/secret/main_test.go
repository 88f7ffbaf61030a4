package secret_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
	"github.com/volcano-sh/kthena-certgen/test/rig/localcluster"
)

// cluster is the API server that the tests of this package share.
var cluster *localcluster.Cluster

func TestMain(m *testing.M) { localcluster.Main(m, &cluster) }

// secrets is the resource in the errors of an API server.
var secrets = schema.GroupResource{Resource: "secrets"}

// client is the program's own client of the Secrets of a namespace, so that the API server decides about what it sends.
func client(t *testing.T, namespace string) secret.Client {
	t.Helper()
	c, err := kube.New(cluster.Config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return c.Secrets(namespace)
}
