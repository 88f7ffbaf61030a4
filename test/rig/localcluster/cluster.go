package localcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/volcano-sh/kthena-certgen/test/rig/controlplane"
)

// startTimeout bounds each step of a start, and stopTimeout the end of each program. They take seconds; this is for a machine
// that is busy with something else.
const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 30 * time.Second
)

// versionEnv names the version that kube-apiserver must be of, if any. Who tests on several versions would not see it in the
// results if the tests ran on another one.
const versionEnv = "KUBERNETES_VERSION"

// Options says how a cluster is started. The zero value will do.
type Options struct {
	// Log is told what is started and stopped. Nothing is logged without it.
	Log *slog.Logger
	// Dir is the folder for everything that the cluster writes. It must be missing or empty, and Stop removes it. Without it
	// a new folder is made in the system's folder for temporary files.
	Dir string
	// AggregatorRouting is kube-apiserver's option --enable-aggregator-routing: it sends requests to webhooks to the
	// endpoints of their Services, of which it chooses a ready one for each request, and not to ClusterIPs.
	AggregatorRouting bool
}

// Cluster is a running cluster.
type Cluster struct {
	// Config leads to the API server as a member of system:masters, with no limit on the rate of requests.
	Config *rest.Config
	// Client is a client of Config.
	Client kubernetes.Interface
	// Dir is the cluster's folder: logs, certificates, sockets, the files of the pods. Its path is absolute.
	Dir string
	// Kubeconfig is the path of a kubeconfig file that says what Config says.
	Kubeconfig string

	log     *slog.Logger
	plane   *envtest.ControlPlane
	reaper  *reaper
	network *network
	version string

	stopOnce sync.Once
	stopErr  error
	undo     []func() error // what Stop does, last first
}

// Start starts a cluster, whose programs must have been built, and returns when all of it answers: the API server with its
// built-in roles, the controllers, and the node called local. The API server tells the world that it is the version it was
// built from, which has to be KUBERNETES_VERSION if that is in the environment. The context bounds the start only.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	servers, err := controlplane.Find(controlplane.Servers)
	if err != nil {
		return nil, err
	}
	controllers, err := controlplane.Find(controlplane.Controllers)
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig"), log: log}
	begun := time.Now()
	if err := c.start(ctx, o, servers, controllers); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the local cluster: %w", err), c.Stop())
	}
	log.Info("local cluster started", "version", c.version, "server", c.Config.Host, "dir", dir, "elapsed", time.Since(begun))
	return c, nil
}

// Stop ends the cluster's processes and removes its folder. It may be called more than once.
func (c *Cluster) Stop() error {
	c.stopOnce.Do(func() {
		var errs []error
		for _, undo := range slices.Backward(c.undo) {
			errs = append(errs, undo())
		}
		c.stopErr = errors.Join(errs...)
		c.log.Info("local cluster stopped", "dir", c.Dir)
	})
	return c.stopErr
}

// Version is the version of the API server, such as v1.37.2.
func (c *Cluster) Version() string { return c.version }

// DialService connects to a port of a Service, as a client inside the cluster would. The host is the Service's ClusterIP or its
// DNS name, with or without the cluster domain: name.namespace.svc.
func (c *Cluster) DialService(ctx context.Context, host string, port int) (net.Conn, error) {
	return c.network.dialService(ctx, host, int32(port))
}

// DialPod connects to a port of a pod, as a client inside the cluster would.
func (c *Cluster) DialPod(ctx context.Context, podIP string, port int) (net.Conn, error) {
	return c.network.dialPod(ctx, podIP, int32(port))
}

// Isolate makes the network refuse connections to a pod, or lets them through again, as a NetworkPolicy does on the way
// from the API server to the pod. The kubelet still reaches it, and so does port forwarding.
func (c *Cluster) Isolate(podIP string, isolated bool) { c.network.isolate(podIP, isolated) }

// start does everything that needs the folder. What has been started when it fails is ended by Stop.
func (c *Cluster) start(ctx context.Context, o Options, servers, controllers string) error {
	// The reaper comes first, and so is the last to stop: from here on, nothing can be left behind.
	c.undo = append(c.undo, func() error { return os.RemoveAll(c.Dir) })
	reaper, err := startReaper(c.Dir)
	if err != nil {
		return err
	}
	c.reaper = reaper
	c.undo = append(c.undo, reaper.stop)

	egress, err := c.startEgress()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // envtest knows no context
	}
	if err := c.startServers(o, servers, egress); err != nil {
		return err
	}
	if c.Client, err = kubernetes.NewForConfig(c.Config); err != nil {
		return fmt.Errorf("creating the client: %w", err)
	}
	if err := c.readVersion(); err != nil {
		return err
	}
	if err := writeKubeconfig(c.Kubeconfig, c.Config); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	if err := c.startControllers(filepath.Join(controllers, "controllers")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return c.populate(ctx)
}

// startServers starts etcd and kube-apiserver, whose programs are in the folder servers.
func (c *Cluster) startServers(o Options, servers, egress string) error {
	// Without a logger, controller-runtime complains on stderr, with a stack, about its being missing.
	ctrllog.SetLogger(logr.FromSlogHandler(c.log.Handler()))
	policy := filepath.Join(c.Dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("writing the audit policy: %w", err)
	}
	etcd, err := c.server(servers, "etcd")
	if err != nil {
		return err
	}
	apiserver, err := c.server(servers, "kube-apiserver")
	if err != nil {
		return err
	}
	// Not envtest's Environment: that makes certificates for webhooks of its own, in a folder that outlives a killed process.
	c.plane = &envtest.ControlPlane{
		Etcd: &envtest.Etcd{
			Path: etcd.path, DataDir: etcd.dir, Out: etcd.log, Err: etcd.log, StartTimeout: startTimeout, StopTimeout: stopTimeout,
		},
		APIServer: &envtest.APIServer{
			Path: apiserver.path, CertDir: apiserver.dir, Out: apiserver.log, Err: apiserver.log, StartTimeout: startTimeout, StopTimeout: stopTimeout,
		},
	}
	c.plane.APIServer.Configure().
		Set("egress-selector-config-file", egress).
		Set("enable-aggregator-routing", strconv.FormatBool(o.AggregatorRouting)).
		Set("audit-policy-file", policy).
		Set("audit-log-path", c.auditLog()).
		// The log must not be cut into several files: it is read as one. In megabytes.
		Set("audit-log-maxsize", "10000").
		// Without TaintNodesByCondition a node is usable as soon as it is there: the controller that takes its taint
		// away does not run. ServiceAccount, which envtest leaves out too, would add a volume that needs yet another one.
		Set("disable-admission-plugins", "ServiceAccount,TaintNodesByCondition")
	c.undo = append(c.undo, c.plane.Stop)
	if err := c.plane.Start(); err != nil {
		return fmt.Errorf("starting etcd and kube-apiserver: %w", err)
	}
	c.Config, err = c.userConfig("admin", "system:masters")
	return err
}

// server is what envtest is told about one of its two programs.
type server struct {
	path string // the program
	dir  string // its folder
	log  *os.File
}

// server prepares a program of the folder servers, such that the reaper knows of it when envtest starts it.
func (c *Cluster) server(servers, name string) (server, error) {
	s := server{path: filepath.Join(c.Dir, name), dir: filepath.Join(c.Dir, name+"-data")}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return server{}, fmt.Errorf("creating the folder of %s: %w", name, err)
	}
	if err := c.reaper.wrap(s.path, filepath.Join(servers, name)); err != nil {
		return server{}, fmt.Errorf("preparing %s: %w", name, err)
	}
	log, err := c.createLog(name)
	if err != nil {
		return server{}, err
	}
	s.log = log
	return s, nil
}

// createLog creates the file that a program's output goes to. A file and not a pipe: a pipe would end with this process, and a
// program that survives it for a moment must not keep the output of this process open.
func (c *Cluster) createLog(name string) (*os.File, error) {
	log, err := os.OpenFile(filepath.Join(c.Dir, name+".log"), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating the log of %s: %w", name, err)
	}
	c.undo = append(c.undo, log.Close)
	return log, nil
}

// readVersion asks the API server for its version, which must be the one that the environment wants.
func (c *Cluster) readVersion() error {
	version, err := c.Client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("asking kube-apiserver for its version: %w", err)
	}
	c.version = version.GitVersion
	if want := os.Getenv(versionEnv); want != "" && c.version != want {
		return fmt.Errorf("kube-apiserver is %s, and %s asks for %s", c.version, versionEnv, want)
	}
	return nil
}

// userConfig makes a user of the API server with a client certificate, and returns how to connect as that user.
func (c *Cluster) userConfig(name string, groups ...string) (*rest.Config, error) {
	user, err := c.plane.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return nil, fmt.Errorf("creating user %s: %w", name, err)
	}
	config := rest.CopyConfig(user.Config())
	config.QPS = -1
	return config, nil
}

// makeDir returns the absolute path of an empty folder that only this user can read.
func makeDir(dir string) (string, error) {
	if dir == "" {
		made, err := os.MkdirTemp("", "localcluster-")
		if err != nil {
			return "", fmt.Errorf("creating the cluster's folder: %w", err)
		}
		return made, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("creating the cluster's folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("creating the cluster's folder %s: %w", dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("reading the cluster's folder %s: %w", dir, err)
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("using %s as the cluster's folder: it is not empty", dir)
	}
	return dir, nil
}
