// Package helm4 tests the chart with Helm 4, which applies on the server: there, two writers of one field conflict. It is
// a module of its own, so that nothing else depends on Helm 4.
package helm4
