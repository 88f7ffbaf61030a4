// Package flux tests the chart with Flux' own source-controller and helm-controller, as they are published, on the local cluster.
package flux
