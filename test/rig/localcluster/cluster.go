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
	// Dir is the cluster's folder, in the system's folder for temporary files: logs, certificates, sockets, the files of the pods.
	Dir string
	// Kubeconfig is the path of a kubeconfig file that says what Config says.
	Kubeconfig string

	log     *slog.Logger // of what goes wrong where no caller can be told
	plane   *envtest.ControlPlane
	reaper  *reaper
	network *network
	version string

	mu   sync.Mutex
	undo []func() error // what Stop does, last first
}

// Start starts a cluster, whose programs must have been built, and returns when all of it answers: the API server with its
// built-in roles, the controllers, and the node called local. The API server tells the world that it is the version it was
// built from, which has to be KUBERNETES_VERSION if that is in the environment. The context bounds the start only.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	servers, err := controlplane.Find(controlplane.Servers)
	if err != nil {
		return nil, err
	}
	controllers, err := controlplane.Find(controlplane.Controllers)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "localcluster-")
	if err != nil {
		return nil, fmt.Errorf("creating the cluster's folder: %w", err)
	}
	c := &Cluster{Dir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig"), log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if err := c.start(ctx, o, servers, controllers); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the local cluster: %w", err), c.Stop())
	}
	return c, nil
}

// Stop ends the cluster's processes and removes its folder. It may be called more than once.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, undo := range slices.Backward(c.undo) {
		errs = append(errs, undo())
	}
	c.undo = nil
	return errors.Join(errs...)
}

// atStop has Stop call undo, before what it was told earlier.
func (c *Cluster) atStop(undo func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.undo = append(c.undo, undo)
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

// Expose gives what listens at an address of this machine one in the pod network, behind a port. It returns the address, for an
// EndpointSlice of a Service without a selector.
func (c *Cluster) Expose(address string, port int) string {
	ip := c.network.allocateIP()
	c.network.attach(ip, map[int32]string{int32(port): address})
	return ip
}

// start does everything that needs the folder. What has been started when it fails is ended by Stop.
func (c *Cluster) start(ctx context.Context, o Options, servers, controllers string) error {
	// The reaper comes first, and so is the last to stop: from here on, nothing can be left behind.
	c.atStop(func() error { return os.RemoveAll(c.Dir) })
	reaper, err := startReaper(c.Dir)
	if err != nil {
		return err
	}
	c.reaper = reaper
	c.atStop(reaper.stop)

	egress, err := c.openEgress()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // envtest knows no context
	}
	if err := c.startServers(o, servers); err != nil {
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
	if err := c.populate(ctx); err != nil {
		return err
	}
	return c.serveEgress(ctx, egress)
}

// startServers starts etcd and kube-apiserver, whose programs are in the folder servers.
func (c *Cluster) startServers(o Options, servers string) error {
	// Without a logger, controller-runtime complains on stderr, with a stack, about its being missing.
	ctrllog.SetLogger(logr.Discard())
	policy := filepath.Join(c.Dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("writing the audit policy: %w", err)
	}
	etcd, etcdLog, err := c.server(servers, "etcd")
	if err != nil {
		return err
	}
	apiserver, apiserverLog, err := c.server(servers, "kube-apiserver")
	if err != nil {
		return err
	}
	// Not envtest's Environment: that makes certificates for webhooks of its own, in a folder that outlives a killed process.
	c.plane = &envtest.ControlPlane{
		Etcd: &envtest.Etcd{
			Path: etcd, DataDir: etcd + dataSuffix, Out: etcdLog, Err: etcdLog, StartTimeout: startTimeout, StopTimeout: stopTimeout,
		},
		APIServer: &envtest.APIServer{
			Path: apiserver, CertDir: apiserver + dataSuffix, Out: apiserverLog, Err: apiserverLog,
			StartTimeout: startTimeout, StopTimeout: stopTimeout,
		},
	}
	c.plane.APIServer.Configure().
		Set("egress-selector-config-file", c.egressConfig()).
		Set("enable-aggregator-routing", strconv.FormatBool(o.AggregatorRouting)).
		Set("audit-policy-file", policy).
		Set("audit-log-path", c.auditLog()).
		// The log must not be cut into several files: it is read as one. In megabytes.
		Set("audit-log-maxsize", "10000").
		// Without TaintNodesByCondition a node is usable as soon as it is there: the controller that takes its taint
		// away does not run. ServiceAccount, which envtest leaves out too, would add a volume that needs yet another one.
		Set("disable-admission-plugins", "ServiceAccount,TaintNodesByCondition")
	c.atStop(c.plane.Stop)
	if err := c.plane.Start(); err != nil {
		return fmt.Errorf("starting etcd and kube-apiserver: %w", err)
	}
	c.Config, err = c.userConfig("admin", "system:masters")
	return err
}

// dataSuffix makes the path of a server's program that of the folder for its data.
const dataSuffix = "-data"

// server prepares a program of the folder servers, such that the reaper knows of it when envtest starts it, and returns its path.
func (c *Cluster) server(servers, name string) (path string, log *os.File, err error) {
	path = filepath.Join(c.Dir, name)
	if err := os.Mkdir(path+dataSuffix, 0o700); err != nil {
		return "", nil, fmt.Errorf("creating the folder of %s: %w", name, err)
	}
	if err := c.reaper.wrap(path, filepath.Join(servers, name)); err != nil {
		return "", nil, fmt.Errorf("preparing %s: %w", name, err)
	}
	log, err = c.createLog(name)
	return path, log, err
}

// createLog creates the file that a program's output goes to. A file and not a pipe: a pipe would end with this process, and a
// program that survives it for a moment must not keep the output of this process open.
func (c *Cluster) createLog(name string) (*os.File, error) {
	log, err := os.OpenFile(filepath.Join(c.Dir, name+".log"), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating the log of %s: %w", name, err)
	}
	c.atStop(log.Close)
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
