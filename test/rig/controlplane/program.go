package controlplane

import (
	"context"
	"io"
	"slices"
)

// Build runs go build for packages of this repository, from its root and with the flags of the control plane, and tells
// progress how far it is. The results are static binaries without paths of this machine. Variables in env, such as GOARCH=arm64,
// win over the user's.
func Build(ctx context.Context, title string, args, env []string, progress io.Writer) error {
	root, err := Root()
	if err != nil {
		return err
	}
	meter := newMeter(progress, title)
	defer meter.stop()
	return runGo(ctx, root, slices.Concat([]string{"build"}, buildFlags, args), env, meter)
}
