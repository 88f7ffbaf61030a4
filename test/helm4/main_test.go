package helm4

import (
	"testing"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// env is the cluster that the tests of this package share.
var env *charttest.Environment

func TestMain(m *testing.M) { charttest.Main(m, charttest.Options{CertManager: true}, &env) }
