// Package localcluster runs a Kubernetes cluster on this machine's loopback interface, for tests and the demo: real etcd, real
// kube-apiserver and Kubernetes' own controllers, without root, containers, fixed ports or a network.
//
// What a node would add is played by this package: the pod network and kube-proxy are a proxy that kube-apiserver dials webhooks
// through ([Cluster.DialService] leads there too), and pods are processes.
//
// A cluster leaves nothing behind. [Cluster.Stop] ends its processes and removes its folder; should the process that started it
// be killed, a watcher process does both.
package localcluster
