package scenario

import "github.com/volcano-sh/kthena-certgen/test/rig/charttest"

// Values are those of a release in a mode: one replica of everything, servers that drain, and a controller as impatient as a test.
func Values(mode string, more ...map[string]any) map[string]any {
	values := charttest.Merged(charttest.InMode(mode, 1), map[string]any{
		"global":     map[string]any{"certgen": map[string]any{"controller": map[string]any{"settle": "1s"}}},
		"networking": map[string]any{"kthenaRouter": map[string]any{"preStopSeconds": 5}},
	})
	for _, m := range more {
		values = charttest.Merged(values, m)
	}
	return values
}

// Labelled are values that replace every pod of a component and change nothing else.
func Labelled(value string) map[string]any {
	return charttest.PerComponent(map[string]any{"podLabels": map[string]any{"changed": value}})
}

// Annotated are values that change every component's Deployment and replace no pod.
func Annotated(value string) map[string]any {
	return charttest.PerComponent(map[string]any{"deploymentAnnotations": map[string]any{"changed": value}})
}

// WithoutController are values that leave the controller out.
func WithoutController() map[string]any {
	return map[string]any{"global": map[string]any{"certgen": map[string]any{"controller": map[string]any{"enabled": false}}}}
}

// Missing are values with which the registry's new pods never start.
func Missing() map[string]any {
	image := map[string]any{"repository": "example.com/there-is-none"}
	return map[string]any{"registry": map[string]any{"controllerManager": map[string]any{"image": image}}}
}
