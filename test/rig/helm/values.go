package helm

import (
	"fmt"

	"helm.sh/helm/v3/pkg/chartutil"
)

// Values reads values from YAML and lays others over them, the last on top. It may change the maps that it lays over.
func Values(text string, over ...map[string]any) (map[string]any, error) {
	read, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("parsing values: %w", err)
	}
	merged := read.AsMap()
	for _, above := range over {
		merged = chartutil.CoalesceTables(above, merged)
	}
	return merged, nil
}
