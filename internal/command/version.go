package command

import (
	"cmp"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// programVersion is linked, the version set at link time, else that of the module, else "devel".
func programVersion(linked string) string {
	info, _ := debug.ReadBuildInfo()
	if info == nil || info.Main.Version == "(devel)" {
		return cmp.Or(linked, "devel")
	}
	return cmp.Or(linked, info.Main.Version, "devel")
}

func newVersionCommand(version string) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
}
