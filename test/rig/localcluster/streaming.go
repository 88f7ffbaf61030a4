package localcluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// kubeletPort is where the API server looks for the kubelet on the node, to which the network leads it.
const kubeletPort = 10250

// portForwardProtocol is the one subprotocol of port forwarding.
const portForwardProtocol = "portforward.k8s.io"

// LetForward gives a service account the right to forward ports of the pods in its namespace, which must exist. The process of a
// pod is outside of the pods' network here, so one that calls other pods by their addresses has to reach them as a person would,
// through the API server.
func (c *Cluster) LetForward(ctx context.Context, namespace, serviceAccount string) error {
	name := serviceAccount + "-forwards-ports-on-the-local-cluster"
	_, err := c.Client.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating role %s/%s: %w", namespace, name, err)
	}
	_, err = c.Client.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: serviceAccount}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating role binding %s/%s: %w", namespace, name, err)
	}
	return nil
}

// serve lets the API server ask the kubelet, until it ends, for what users want of a pod: its log and a connection to one of its
// ports. The API server does not verify the kubelet's certificate, unless it is told to.
func (k *Kubelet) serve() error {
	certificate, key, err := cert.GenerateSelfSignedCertKey(NodeName, nil, nil)
	if err != nil {
		return fmt.Errorf("making the kubelet's certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return fmt.Errorf("reading the kubelet's certificate: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("opening the kubelet's port: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLog)
	mux.HandleFunc("/portForward/{namespace}/{pod}", k.servePortForward)
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		// A client that leaves before the handshake is none of the user's business.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	k.running.Go(func() {
		err := server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}}))
		if !errors.Is(err, http.ErrServerClosed) {
			k.cluster.log.Error("serving the kubelet's streams", "error", err)
		}
	})
	k.cluster.network.attach(NodeName, map[int32]string{kubeletPort: listener.Addr().String()})
	context.AfterFunc(k.ctx, func() {
		k.cluster.network.detach(NodeName)
		_ = server.Close()
	})
	return nil
}

// serveLog answers with all that a container has written so far.
func (k *Kubelet) serveLog(w http.ResponseWriter, r *http.Request) {
	log, err := k.Logs(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	_, _ = w.Write(log)
}

// servePortForward carries connections to the ports of a pod: a pair of streams for each, one for the data and one for why
// it failed, as SPDY clients of the kubelet expect it.
func (k *Kubelet) servePortForward(w http.ResponseWriter, r *http.Request) {
	p := k.pod(r.PathValue("namespace"), r.PathValue("pod"))
	if p == nil {
		http.Error(w, "pod does not exist", http.StatusNotFound)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{portForwardProtocol}); err != nil {
		return // it has answered
	}
	streams := make(chan httpstream.Stream, 1)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer conn.Close()
	failures := map[string]httpstream.Stream{}
	for {
		select {
		case <-conn.CloseChan():
			return
		case <-k.ctx.Done():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				failures[id] = s
			} else if failure := failures[id]; failure != nil {
				go k.forward(p.ip, s, failure)
			}
		}
	}
}

// forward joins a stream of data and a port of a pod. The kubelet connects from inside the pod, so nothing that keeps other
// pods out is in its way.
func (k *Kubelet) forward(podIP string, data, failure httpstream.Stream) {
	defer data.Close()
	defer failure.Close()
	port, err := strconv.ParseInt(data.Headers().Get(corev1.PortHeader), 10, 32)
	var conn net.Conn
	if err == nil {
		conn, err = k.cluster.network.connect(k.ctx, podIP, int32(port))
	}
	if err != nil {
		_, _ = fmt.Fprintf(failure, "error forwarding port %d to pod: %v", port, err)
		return
	}
	join(data, data, conn)
}
