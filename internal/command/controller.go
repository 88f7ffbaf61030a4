package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/volcano-sh/kthena-certgen/internal/controller"
	"github.com/volcano-sh/kthena-certgen/internal/kube"
	"github.com/volcano-sh/kthena-certgen/internal/verify"
)

// off is the address that turns a server off, as for the managers of controller-runtime.
const off = "0"

// controllerOptions are the flags of controller.
type controllerOptions struct {
	config  string
	dirs    map[string]string
	metrics string
	probes  string
	connection
}

func newControllerCommand(version string) *cobra.Command {
	var o controllerOptions
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Keep the certificates of a release in order while its pods run",
		Long: `Controller runs until it is ended and keeps the certificates of a release in order between the starts of its pods. It is told
by a file, which the chart writes, what there is to keep. In all modes it

  - rolls the pods of a Deployment, one Deployment at a time, when they serve another certificate than their Secret holds and
    every webhook entry trusts that one,
  - leaves them alone, and says why, when that certificate is not trusted, broken, or somebody else's,
  - tells when a certificate ends soon that it does not renew itself.

In auto mode it also

  - puts the CA back into webhook entries that have lost it, and repairs the Secret,
  - renews the certificate in time,
  - takes the CAs of older certificates out again when no pod has served one for a while.

It is out of the path: nothing that works stops working when it is down. Several may run at once. What it finds it tells in its
log, in Events and as metrics.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			cfg, err := controller.LoadConfig(o.config, o.dirs)
			if err != nil {
				return err
			}
			client, log, err := o.connect(cmd.ErrOrStderr(), version)
			if err != nil {
				return err
			}
			if err := o.run(cmd.Context(), cfg, client, log, version); err != nil {
				return runError{err}
			}
			return nil
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *controllerOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.config, "config", "", "file that says what to keep in order (required)")
	fs.StringToStringVar(
		&o.dirs, "certificate-dir", nil,
		"secret=folder where the Secret's tls.crt and ca.crt are mounted; repeatable; auto mode reads the Secrets instead",
	)
	fs.StringVar(&o.metrics, "metrics-bind-address", ":8080", "address of the metrics, by HTTP; 0 is none")
	fs.StringVar(&o.probes, "health-probe-bind-address", ":8081", "address of /healthz and /readyz, by HTTP; 0 is none")
	o.connection.addConnectionFlags(fs)
}

func (o *controllerOptions) validate() error {
	if o.config == "" {
		return errors.New("--config is required: name the file that says what to keep in order")
	}
	if err := validateAddress("--metrics-bind-address", o.metrics); err != nil {
		return err
	}
	if err := validateAddress("--health-probe-bind-address", o.probes); err != nil {
		return err
	}
	return o.connection.validateLog()
}

// validateAddress reports an address that no server can have.
func validateAddress(flag, address string) error {
	if address == off {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("%s %q is not an address: use HOST:PORT, :PORT, or 0 for none", flag, address)
	}
	return nil
}

// gcPercent makes the garbage collector run early: the controller is idle nearly always, and its heap is small.
const gcPercent = 25

func (o *controllerOptions) run(ctx context.Context, cfg *controller.Config, client *kube.Client, log *slog.Logger, version string) error {
	debug.SetGCPercent(gcPercent)
	found, err := kube.Config(o.access)
	if err != nil {
		return err
	}
	found.UserAgent = "kthena-certgen/" + version
	raw, err := kube.NewRaw(found.Config, time.Now)
	if err != nil {
		return err
	}
	var dialer verify.Dialer = &kube.PodNetwork{}
	if !found.InPod {
		if dialer, err = kube.NewPortForward(found.Config, raw); err != nil {
			return err
		}
	}
	c := controller.New(controller.Options{
		Config: cfg, API: raw, Client: client, Dialer: dialer, Version: version, Now: time.Now, Log: log,
	})
	failed, err := o.serve(ctx, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-failed:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	log.Info("controller runs", "release", cfg.Release, "namespace", cfg.Namespace, "mode", cfg.Mode, "components", len(cfg.Components))
	c.Run(ctx)
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// serve opens the servers, which run until ctx ends. What ends one of them before is sent to failed.
func (o *controllerOptions) serve(ctx context.Context, c *controller.Controller) (failed <-chan error, err error) {
	failures := make(chan error, 2)
	for _, s := range []struct {
		flag, address string
		handler       http.Handler
	}{
		{"--metrics-bind-address", o.metrics, c.Metrics()},
		{"--health-probe-bind-address", o.probes, c.Probes()},
	} {
		if s.address == off {
			continue
		}
		listener, err := net.Listen("tcp", s.address)
		if err != nil {
			return nil, fmt.Errorf("%s: opening the port: %w", s.flag, err)
		}
		server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
		context.AfterFunc(ctx, func() { _ = server.Close() })
		go func() {
			if err := server.Serve(listener); ctx.Err() == nil {
				failures <- fmt.Errorf("serving %s: %w", s.flag, err)
			}
		}()
	}
	return failures, nil
}
