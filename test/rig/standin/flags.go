package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/pflag"
)

const (
	controllerManager = "kthena-controller-manager"
	router            = "kthena-router"
)

// The controllers of kthena-controller-manager.
const (
	modelBooster = "modelbooster"
	modelServing = "modelserving"
	autoscaler   = "autoscaler"
)

// parse returns what the program of that name is to serve. Help goes to out.
func parse(name string, args []string, out io.Writer) ([]server, error) {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SetOutput(out)
	drain := fs.Duration("drain", 0, "not Kthena's: how long to tell clients to close their connections before ending")
	var servers func() ([]server, error)
	switch name {
	case controllerManager:
		servers = addControllerManagerFlags(fs)
	case router:
		servers = addRouterFlags(fs)
	default:
		return nil, fmt.Errorf("called as %q: install this program as %s or %s", name, controllerManager, router)
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	all, err := servers()
	for i := range all {
		all[i].drain = *drain
	}
	return all, err
}

// addIgnoredFlags adds the flags of both binaries that make no difference to what they serve.
func addIgnoredFlags(fs *pflag.FlagSet) {
	fs.Float32("kube-api-qps", 0, "ignored")
	fs.Int("kube-api-burst", 0, "ignored")
	fs.String("cert-secret-name", "", "ignored: this program never talks to the API server")
}

func addControllerManagerFlags(fs *pflag.FlagSet) func() ([]server, error) {
	addIgnoredFlags(fs)
	fs.String("service-name", "", "ignored")
	fs.Int("webhook-timeout", 30, "ignored")
	fs.Bool("leader-elect", false, "ignored")
	fs.Int("workers", 5, "ignored")
	fs.Int("debug-port", 0, "ignored")
	fs.Int("v", 0, "ignored")
	fs.Int("autoscaling-sync-period-seconds", 0, "ignored; v1.0.0 does not know it")
	controllers := fs.StringSlice(
		"controllers", []string{"*"}, "controllers whose webhook paths to serve: modelserving, modelbooster, autoscaler; * is all",
	)
	enabled := fs.Bool("enable-webhook", true, "whether to serve the webhooks")
	webhook := server{name: "webhook"}
	fs.IntVar(&webhook.port, "port", 8443, "port of the webhooks and /healthz")
	fs.StringVar(&webhook.certFile, "tls-cert-file", "/etc/tls/tls.crt", "certificate")
	fs.StringVar(&webhook.keyFile, "tls-private-key-file", "/etc/tls/tls.key", "private key of the certificate")

	return func() ([]server, error) {
		known := []string{modelServing, modelBooster, autoscaler}
		for _, c := range *controllers {
			if c != "*" && !slices.Contains(known, c) {
				return nil, fmt.Errorf("--controllers %q is unknown: use %s, %s, %s or *", c, modelServing, modelBooster, autoscaler)
			}
		}
		if !*enabled {
			return nil, nil
		}
		if slices.Contains(*controllers, "*") {
			*controllers = known
		}
		webhook.handler = webhookHandler(*controllers...)
		return []server{webhook}, nil
	}
}

func addRouterFlags(fs *pflag.FlagSet) func() ([]server, error) {
	addIgnoredFlags(fs)
	fs.String("webhook-service-name", "", "ignored")
	fs.Bool("enable-gateway-api", false, "ignored")
	fs.Bool("enable-gateway-api-inference-extension", false, "ignored")
	fs.Int("debug-port", 15000, "ignored")
	fs.Int("metrics-port", 0, "ignored; v1.0.0 does not know it")
	fs.Bool("expose-metrics-on-router-port", true, "ignored; v1.0.0 does not know it")
	requests := server{name: "router", handler: routerHandler()}
	fs.IntVar(&requests.port, "port", 8080, "port of /healthz and /readyz")
	fs.StringVar(&requests.certFile, "tls-cert", "", "certificate of --port, which is plain HTTP without")
	fs.StringVar(&requests.keyFile, "tls-key", "", "private key of --tls-cert")
	enabled := fs.Bool("enable-webhook", true, "whether to serve the webhooks")
	webhook := server{name: "webhook", handler: webhookHandler(router)}
	fs.IntVar(&webhook.port, "webhook-port", 8443, "port of the webhooks")
	fs.StringVar(&webhook.certFile, "webhook-tls-cert-file", "/etc/tls/tls.crt", "certificate of --webhook-port")
	fs.StringVar(&webhook.keyFile, "webhook-tls-private-key-file", "/etc/tls/tls.key", "private key of --webhook-tls-cert-file")

	return func() ([]server, error) {
		if (requests.certFile == "") != (requests.keyFile == "") {
			return nil, errors.New("--tls-cert and --tls-key must be given together")
		}
		if !*enabled {
			return []server{requests}, nil
		}
		return []server{requests, webhook}, nil
	}
}
