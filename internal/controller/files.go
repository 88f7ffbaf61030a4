package controller

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

// filesPoll is how often mounted files are looked at. The kubelet is up to a minute and a half late with them, so this adds
// little, and a look is one system call.
const filesPoll = 2 * time.Second

// dataLink is what the kubelet points at the current files of a volume (see package certdir).
const dataLink = "..data"

// watchFiles calls changed when the kubelet has put other files into dir, until ctx ends.
func watchFiles(ctx context.Context, dir string, changed func()) {
	ticker := time.NewTicker(filesPoll)
	defer ticker.Stop()
	last, _ := os.Readlink(filepath.Join(dir, dataLink))
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// A link that is gone or cannot be read is another state, too; what it means is said by who reads the files.
		if now, _ := os.Readlink(filepath.Join(dir, dataLink)); now != last {
			last = now
			changed()
		}
	}
}

// readFiles reads the public part of a certificate from dir. ok is false when there is no certificate.
func readFiles(dir string) (b gen.Bundle, ok bool, err error) {
	// One folder for both, so that they are of one Secret.
	folder, err := filepath.EvalSymlinks(filepath.Join(dir, dataLink))
	if errors.Is(err, fs.ErrNotExist) {
		return b, false, nil
	}
	if err != nil {
		return b, false, fmt.Errorf("reading the mounted certificate: %w", err)
	}
	for name, part := range map[string]*[]byte{core.TLSCertKey: &b.Cert, secret.KeyCA: &b.CA} {
		*part, err = os.ReadFile(filepath.Join(folder, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return b, false, fmt.Errorf("reading the mounted certificate: %w", err)
		}
	}
	return b, len(b.Cert) > 0, nil
}
