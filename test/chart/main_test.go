// Package chart installs the chart on a real API server, runs its pods and watches what users would: that it becomes
// ready without a restart, that every webhook entry admits and refuses, and that no admission request fails meanwhile.
package chart

import (
	"testing"

	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// env is the cluster that the tests of this package share.
var env *charttest.Environment

func TestMain(m *testing.M) { charttest.Main(m, charttest.Options{CertManager: true}, &env) }
