//go:build tools

// Package tools names the main packages of other modules that are built here, so that `go mod tidy` keeps them.
package tools

import (
	_ "github.com/fluxcd/helm-controller"
	_ "github.com/fluxcd/source-controller"
)
