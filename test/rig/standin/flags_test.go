package main

import (
	"io"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	type port struct {
		name      string
		port      int
		cert, key string
	}
	for sentence, c := range map[string]struct {
		program string
		args    []string
		want    []port
	}{
		"the controller-manager has Kthena's defaults": {
			program: controllerManager,
			want:    []port{{"webhook", 8443, "/etc/tls/tls.crt", "/etc/tls/tls.key"}},
		},
		"the router has Kthena's defaults": {
			program: router,
			want:    []port{{"router", 8080, "", ""}, {"webhook", 8443, "/etc/tls/tls.crt", "/etc/tls/tls.key"}},
		},
		"the controller-manager takes every flag of Kthena's": {
			program: controllerManager,
			args: []string{"--controllers=modelbooster,autoscaler", "--enable-webhook=true", "--port=9443",
				"--tls-cert-file=c", "--tls-private-key-file=k",
				"--cert-secret-name=s", "--service-name=n", "--webhook-timeout=30", "--leader-elect=true", "--workers=5", "--kube-api-qps=20.5",
				"--kube-api-burst=30", "--debug-port=0", "--v=4", "--autoscaling-sync-period-seconds=5"},
			want: []port{{"webhook", 9443, "c", "k"}},
		},
		"the router takes every flag of Kthena's": {
			program: router,
			args: []string{"--port=9080", "--tls-cert=rc", "--tls-key=rk", "--enable-webhook=true", "--webhook-port=9443",
				"--webhook-tls-cert-file=c",
				"--webhook-tls-private-key-file=k", "--cert-secret-name=s", "--webhook-service-name=n", "--enable-gateway-api=false",
				"--enable-gateway-api-inference-extension=false", "--debug-port=15000", "--kube-api-qps=20.5", "--kube-api-burst=30",
				"--metrics-port=9090", "--expose-metrics-on-router-port=false"},
			want: []port{{"router", 9080, "rc", "rk"}, {"webhook", 9443, "c", "k"}},
		},
		"the controller-manager serves nothing without its webhooks": {
			program: controllerManager, args: []string{"--enable-webhook=false"},
		},
		"the router serves its own port without its webhooks": {
			program: router, args: []string{"--enable-webhook=false"}, want: []port{{"router", 8080, "", ""}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			servers, err := parse(c.program, c.args, io.Discard)
			require.NoError(t, err)
			var got []port
			for _, s := range servers {
				got = append(got, port{s.name, s.port, s.certFile, s.keyFile})
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestEveryServerDrainsForAsLongAsItIsTold(t *testing.T) {
	for args, want := range map[string]time.Duration{"--port=1": 0, "--drain=2s": 2 * time.Second} {
		servers, err := parse(router, []string{args}, io.Discard)
		require.NoError(t, err)
		require.Len(t, servers, 2)
		for _, s := range servers {
			assert.Equal(t, want, s.drain, "%s: %s", args, s.name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for sentence, c := range map[string]struct {
		program string
		args    []string
		want    string
	}{
		"an unknown flag":                       {controllerManager, []string{"--tls-cert=x"}, "unknown flag: --tls-cert"},
		"a flag of the other program":           {router, []string{"--controllers=*"}, "unknown flag: --controllers"},
		"the log level that the router has not": {router, []string{"--v=2"}, "unknown flag: --v"},
		"an argument":                           {router, []string{"serve"}, `unexpected argument "serve"`},
		"an unknown controller": {
			controllerManager, []string{"--controllers=modelserving,x"},
			`--controllers "x" is unknown: use modelserving, modelbooster, autoscaler or *`,
		},
		"a certificate without key": {router, []string{"--tls-cert=c"}, "--tls-cert and --tls-key must be given together"},
		"a key without certificate": {router, []string{"--tls-key=k"}, "--tls-cert and --tls-key must be given together"},
		"another name":              {"standin", nil, `called as "standin": install this program as kthena-controller-manager or kthena-router`},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := parse(c.program, c.args, io.Discard)
			assert.EqualError(t, err, c.want)
		})
	}

	t.Run("nothing when help is wanted", func(t *testing.T) {
		_, err := parse(router, []string{"-h"}, io.Discard)
		assert.ErrorIs(t, err, pflag.ErrHelp)
	})
}
