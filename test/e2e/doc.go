// Package e2e installs the chart on a real cluster, with a real kubelet, kube-proxy and DNS, and watches what users would. Its tests
// have the build tag e2e, since no test may be skipped and these need a cluster: run make e2e.
package e2e
