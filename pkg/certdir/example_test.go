package certdir_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/volcano-sh/kthena-certgen/pkg/certdir"
)

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "certdir")
	if err != nil {
		log.Fatal(err)
	}
	files := map[string][]byte{"tls.crt": []byte("a certificate"), "tls.key": []byte("its key")}
	for range 2 {
		changed, err := certdir.Write(dir, files, time.Now())
		fmt.Println("changed:", changed, err)
	}
	link, err := os.Readlink(filepath.Join(dir, "tls.key"))
	fmt.Println("tls.key ->", link, err)
	fmt.Println(os.RemoveAll(dir))
	// Output:
	// changed: true <nil>
	// changed: false <nil>
	// tls.key -> ..data/tls.key <nil>
	// <nil>
}
