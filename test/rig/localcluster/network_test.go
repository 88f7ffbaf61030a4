package localcluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

func TestAWebhookOfAService(t *testing.T) {
	namespace := newNamespace(t)
	bundle, err := gen.Generate(gen.Spec{
		DNSNames: []string{"hook." + namespace + ".svc"}, Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA},
	}, time.Now())
	require.NoError(t, err)
	address := serveRefusals(t, bundle)

	service := newService(t, namespace)
	ip := cluster.network.allocateIP()
	createPod(t, namespace, ip)
	createWebhook(t, namespace, bundle.CA)
	create := func() error {
		_, err := cluster.Client.CoreV1().ConfigMaps(namespace).Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "x-", Labels: map[string]string{"refuse": namespace}},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}

	t.Run("cannot be called while no pod is ready", func(t *testing.T) {
		// The API server takes a moment to see the configuration; until then it lets everything in.
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			// The caller learns why, as the API server's own dialing would tell it.
			assert.ErrorContains(c, create(), "code 502: 502 dialing service "+namespace+"/hook port 443: connection refused: no endpoint is ready")
		}, 30*time.Second, 50*time.Millisecond)
		_, err := cluster.DialService(t.Context(), service.Spec.ClusterIP, 443)
		assert.EqualError(t, err, "dialing service "+namespace+"/hook port 443: connection refused: no endpoint is ready")
	})
	setReady(t, namespace, corev1.ConditionTrue)
	require.Eventually(t, func() bool {
		endpoints, err := cluster.network.endpoints(service, 443)
		require.NoError(t, err)
		return len(endpoints) == 1
	}, 30*time.Second, 10*time.Millisecond)
	t.Run("cannot be called while nothing listens in the pod", func(t *testing.T) {
		assert.ErrorContains(t, create(), "failed calling webhook")
		_, err := cluster.DialService(t.Context(), "hook."+namespace+".svc", 443)
		assert.EqualError(
			t, err, "dialing service "+namespace+"/hook port 443: dialing pod "+ip+": connection refused: nothing listens on port 8443",
		)
	})
	cluster.network.attach(ip, map[int32]string{8443: address})
	t.Run("is called through the Service's address, with its DNS name, once a pod is ready", func(t *testing.T) {
		assert.EqualError(t, create(), `admission webhook "refuse.example.com" denied the request: called as hook.`+namespace+`.svc`)
	})
	for way, host := range map[string]string{
		"its name":                 "hook." + namespace + ".svc",
		"its name with the domain": "hook." + namespace + ".svc.cluster.local",
		"its address":              service.Spec.ClusterIP,
	} {
		t.Run("is reached by a client inside the cluster by "+way, func(t *testing.T) {
			conn, err := cluster.DialService(t.Context(), host, 443)
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()))
		})
	}
	t.Run("is reached by the API server by the address of its pod", func(t *testing.T) {
		conn, err := net.Dial("unix", filepath.Join(cluster.Dir, "egress.sock"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "CONNECT "+net.JoinHostPort(ip, "8443")+" HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		answer := make([]byte, len("HTTP/1.1 200 OK\r\n\r\n"))
		_, err = io.ReadFull(conn, answer)
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 200 OK\r\n\r\n", string(answer))
		require.NoError(t, tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()))
	})
	cluster.network.detach(ip)
	t.Run("cannot be called when the pod has gone from the network", func(t *testing.T) {
		_, err := cluster.DialPod(t.Context(), ip, 8443)
		assert.EqualError(t, err, "dialing pod "+ip+": connection refused: nothing listens on port 8443")
	})
}

// serveRefusals serves TLS with the bundle on loopback and refuses every object; the message says the name it was called by.
func serveRefusals(t *testing.T, bundle gen.Bundle) string {
	pair, err := tls.X509KeyPair(bundle.Cert, bundle.Key)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &review)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{
			UID: review.Request.UID, Result: &metav1.Status{Message: "called as " + r.TLS.ServerName},
		}
		json.NewEncoder(w).Encode(review)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// newService creates a Service with an address and the port 443, which leads to the port that its pods call https.
func newService(t *testing.T, namespace string) *corev1.Service {
	service, err := cluster.Client.CoreV1().Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "hook"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "hook"},
			Ports:    []corev1.ServicePort{{Name: "webhook", Port: 443, TargetPort: intstr.FromString("https")}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return service
}

// createPod creates a pod of the Service that runs, but is not ready, on a node of its own: no kubelet has it.
func createPod(t *testing.T, namespace, ip string) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	_, err := cluster.Client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, cluster.Client.CoreV1().Nodes().Delete(context.Background(), node.Name, metav1.DeleteOptions{}))
	})
	_, err = cluster.Client.CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "hook", Labels: map[string]string{"app": "hook"}},
		Spec: corev1.PodSpec{
			NodeName:   node.Name,
			Containers: []corev1.Container{{Name: "hook", Image: "hook", Ports: []corev1.ContainerPort{{Name: "https", ContainerPort: 8443}}}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	setStatus(t, namespace, func(status *corev1.PodStatus) {
		status.Phase = corev1.PodRunning
		status.PodIP, status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	})
}

// setReady sets the pod's condition.
func setReady(t *testing.T, namespace string, ready corev1.ConditionStatus) {
	setStatus(t, namespace, func(status *corev1.PodStatus) {
		status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	})
}

// setStatus changes the pod's status. The controllers of the control plane write to the pod too, so a conflict is expected.
func setStatus(t *testing.T, namespace string, change func(*corev1.PodStatus)) {
	pods := cluster.Client.CoreV1().Pods(namespace)
	require.NoError(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		pod, err := pods.Get(t.Context(), "hook", metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(&pod.Status)
		_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
		return err
	}))
}

// createWebhook makes the API server ask the Service about ConfigMaps that carry the label of this test.
func createWebhook(t *testing.T, namespace string, ca []byte) {
	none := admissionregistrationv1.SideEffectClassNone
	_, err := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(),
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: namespace},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name: "refuse.example.com",
				ClientConfig: admissionregistrationv1.WebhookClientConfig{
					Service:  &admissionregistrationv1.ServiceReference{Namespace: namespace, Name: "hook"},
					CABundle: ca,
				},
				Rules: []admissionregistrationv1.RuleWithOperations{{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
				}},
				ObjectSelector:          &metav1.LabelSelector{MatchLabels: map[string]string{"refuse": namespace}},
				AdmissionReviewVersions: []string{"v1"},
				SideEffects:             &none,
			}},
		}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().
			Delete(context.Background(), namespace, metav1.DeleteOptions{}))
	})
}

func TestEndpoints(t *testing.T) {
	yes, no := true, false
	name, port := "webhook", int32(8443)
	one := func(ip string, c discoveryv1.EndpointConditions) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{ip}, Conditions: c}
	}
	ready := discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes}
	unready := discoveryv1.EndpointConditions{Ready: &no, Serving: &no}
	ending := discoveryv1.EndpointConditions{Ready: &no, Serving: &yes, Terminating: &yes}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "hook"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: name, Port: 443}}},
	}
	for sentence, test := range map[string]struct {
		endpoints []discoveryv1.Endpoint
		want      []endpoint
	}{
		"are those that are ready": {
			[]discoveryv1.Endpoint{one("a", ready), one("b", unready), one("c", ready)}, []endpoint{{"a", port}, {"c", port}},
		},
		"are ready when nothing is said": {
			[]discoveryv1.Endpoint{one("a", discoveryv1.EndpointConditions{})}, []endpoint{{"a", port}},
		},
		"are not those that end while others are ready": {
			[]discoveryv1.Endpoint{one("a", ending), one("b", ready)}, []endpoint{{"b", port}},
		},
		"are those that end but serve while no other is ready": {
			[]discoveryv1.Endpoint{one("a", ending), one("b", unready)}, []endpoint{{"a", port}},
		},
		"are none when none is ready": {[]discoveryv1.Endpoint{one("a", unready)}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			slices := holding(t, &discoveryv1.EndpointSlice{
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "hook-1", Labels: map[string]string{discoveryv1.LabelServiceName: "hook"}},
				Ports:      []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
				Endpoints:  test.endpoints,
			})
			n := newNetwork(nil, discoverylisters.NewEndpointSliceLister(slices))
			got, err := n.endpoints(service, 443)
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
	t.Run("of a port that the Service does not have are an error", func(t *testing.T) {
		_, err := newNetwork(nil, nil).endpoints(service, 80)
		assert.EqualError(t, err, "connection refused: the service has no such port")
	})
}

func TestDialService(t *testing.T) {
	t.Run("takes the endpoints in turns", func(t *testing.T) {
		port, name := int32(8443), ""
		n := newNetwork(corelisters.NewServiceLister(holding(t, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "hook"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}},
		})), discoverylisters.NewEndpointSliceLister(holding(t, &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "hook-1", Labels: map[string]string{discoveryv1.LabelServiceName: "hook"}},
			Ports:      []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
			Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"a"}}, {Addresses: []string{"b"}}, {Addresses: []string{"c"}}},
		})))
		for _, pod := range []string{"a", "b", "c"} {
			n.attach(pod, map[int32]string{8443: listening(t, pod)})
		}
		served := map[string]int{}
		for range 9 {
			conn, err := n.dialService(t.Context(), "hook.ns.svc", 443)
			require.NoError(t, err)
			pod, err := io.ReadAll(conn)
			require.NoError(t, err)
			served[string(pod)]++
		}
		assert.Equal(t, map[string]int{"a": 3, "b": 3, "c": 3}, served)
	})
	t.Run("says that no Service has the address", func(t *testing.T) {
		_, err := cluster.DialService(t.Context(), "10.0.0.250", 443)
		assert.EqualError(t, err, "dialing 10.0.0.250: no route to host: no service has this address")
	})
	t.Run("says that no Service has the name", func(t *testing.T) {
		_, err := cluster.DialService(t.Context(), "missing.default.svc", 443)
		assert.EqualError(t, err, `resolving missing.default.svc: service "missing" not found`)
	})
}

// listening returns the address of a listener that writes its name to whoever connects.
func listening(t *testing.T, name string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, name)
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

// holding returns an indexer with the objects.
func holding(t *testing.T, objects ...any) cache.Indexer {
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for _, o := range objects {
		require.NoError(t, indexer.Add(o))
	}
	return indexer
}
