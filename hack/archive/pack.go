package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/spf13/cobra/doc"

	"github.com/volcano-sh/kthena-certgen/internal/command"
)

// made is when everything in an archive was made: the earliest that a zip can say.
var made = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// file is one of an archive.
type file struct {
	name string
	data []byte
	mode fs.FileMode
}

// commonFiles are those of every archive, in their order.
func commonFiles() ([]file, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	licence, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		return nil, fmt.Errorf("reading the licence: %w", err)
	}
	files := []file{{"LICENSE", licence, 0o644}}
	commands := command.New("")
	commands.InitDefaultCompletionCmd("bash")
	for _, shell := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{name + ".bash", func(w io.Writer) error { return commands.GenBashCompletionV2(w, true) }},
		{"_" + name, commands.GenZshCompletion},
		{name + ".fish", func(w io.Writer) error { return commands.GenFishCompletion(w, true) }},
		{name + ".ps1", commands.GenPowerShellCompletionWithDesc},
	} {
		var script bytes.Buffer
		if err := shell.write(&script); err != nil {
			return nil, fmt.Errorf("writing the completion %s: %w", shell.name, err)
		}
		files = append(files, file{"completions/" + shell.name, script.Bytes(), 0o644})
	}
	pages, err := os.MkdirTemp("", "man-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(pages)
	header := &doc.GenManHeader{Section: "1", Manual: name, Source: name, Date: &made}
	if err := doc.GenManTree(commands, header, pages); err != nil {
		return nil, fmt.Errorf("writing man pages: %w", err)
	}
	entries, err := os.ReadDir(pages) // sorted
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(pages, e.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, file{path.Join("man", "man1", e.Name()), data, 0o644})
	}
	return files, nil
}

// moduleRoot is the folder of go.mod, at or above this one.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding go.mod: run this in a checkout")
		}
		dir = filepath.Dir(dir)
	}
}

// pack is the archive of the files, as people of the platform expect it.
func pack(p platform, files []file) ([]byte, error) {
	var b bytes.Buffer
	if p.os == "windows" {
		err := packZip(&b, files)
		return b.Bytes(), err
	}
	// gzip's own header has no time when it is zero, and no name.
	compressed, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if err := packTar(compressed, files); err != nil {
		return nil, err
	}
	err = compressed.Close()
	return b.Bytes(), err
}

func packTar(w io.Writer, files []file) error {
	archive := tar.NewWriter(w)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: int64(f.mode), Size: int64(len(f.data)), ModTime: made, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.data); err != nil {
			return err
		}
	}
	return archive.Close()
}

func packZip(w io.Writer, files []file) error {
	archive := zip.NewWriter(w)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: made}
		header.SetMode(f.mode)
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(f.data); err != nil {
			return err
		}
	}
	return archive.Close()
}
