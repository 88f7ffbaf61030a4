// Command argocd runs Argo CD's application controller or its repository server, whichever its first argument names. What follows are
// that one's own arguments. The code is Argo CD's; its program holds eight more commands, which nothing here needs.
package main

import (
	"fmt"
	"os"

	appcontroller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/argoproj/argo-cd/v3/util/log"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

func main() {
	klog.SetLogger(log.NewLogrusLogger(log.NewWithCurrentConfig()))
	root := &cobra.Command{Use: "argocd", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(appcontroller.NewCommand(), reposerver.NewCommand())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "argocd: error:", err)
		os.Exit(1)
	}
}
