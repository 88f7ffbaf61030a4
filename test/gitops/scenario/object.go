package scenario

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// Dynamic is a client of objects of any kind, also of those that the API server would rather not have asked for any more.
func Dynamic(t testing.TB, env *charttest.Environment) dynamic.Interface {
	t.Helper()
	config := rest.CopyConfig(env.Config)
	config.WarningHandler = rest.NoWarnings{}
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// Plain is a value as JSON would bring it back, which is all that an object of any kind may hold.
func Plain(t testing.TB, value map[string]any) map[string]any {
	t.Helper()
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, json.Unmarshal(encoded, &out))
	return out
}
