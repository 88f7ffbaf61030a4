//go:build tools

// Package tools names the main package of another module that is built here, so that `go mod tidy` keeps it.
package tools

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
