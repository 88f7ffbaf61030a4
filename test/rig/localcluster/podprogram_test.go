package localcluster

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/volcano-sh/kthena-certgen/pkg/certdir"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// toolImage is the image of a container that runs one of tools: the test's own program, started under another name.
const toolImage = "tool"

// A program of a pod is told by its name alone, before any test runs: its environment is the pod's.
func init() {
	if filepath.Base(os.Args[0]) != toolImage {
		return
	}
	if err := tools[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// tools are what the containers of the tests do, by their first argument.
var tools = map[string]func(args []string) error{
	// certificate FOLDER NAME writes the TLS files of a server that is called NAME.
	"certificate": func(args []string) error {
		bundle, err := gen.Generate(gen.Spec{DNSNames: args[1:], Validity: time.Hour, Key: gen.KeySpec{Algorithm: gen.ECDSA}}, time.Now())
		if err != nil {
			return err
		}
		_, err = certdir.Write(args[0], map[string][]byte{"tls.crt": bundle.Cert, "tls.key": bundle.Key, "ca.crt": bundle.CA}, time.Now())
		return err
	},
	// print WORD... prints its arguments, one a line, and then its environment.
	"print": func(args []string) error {
		fmt.Println(strings.Join(append(args, os.Environ()...), "\n"))
		return nil
	},
	// count FILE N fails until the file says that it has run N times.
	"count": func(args []string) error {
		file, err := os.OpenFile(args[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		if _, err := file.WriteString("x"); err != nil {
			return err
		}
		content, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		if runs := fmt.Sprint(len(content)); runs != args[1] {
			return fmt.Errorf("run %s fails", runs)
		}
		return nil
	},
	// secret NAMESPACE NAME reads a Secret as the pod's service account.
	"secret": func(args []string) error {
		config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
		if err != nil {
			return err
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return err
		}
		secret, err := client.CoreV1().Secrets(args[0]).Get(context.Background(), args[1], metav1.GetOptions{})
		if err != nil {
			return err
		}
		fmt.Printf("%x\n", sha256.Sum256(secret.Data["key"]))
		return nil
	},
	// serve runs until it is told to end, or for ever with the argument deaf.
	"serve": func(args []string) error {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		fmt.Println("serving", time.Now().UnixMilli())
		for range signals {
			fmt.Println("SIGTERM", time.Now().UnixMilli())
			if len(args) == 0 {
				break
			}
		}
		return nil
	},
}
