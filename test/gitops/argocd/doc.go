// Package argocd tests the chart with Argo CD's own application controller and repository server, as they are published, on the local
// cluster.
package argocd
