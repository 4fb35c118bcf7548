FROM texlive/texlive:latest-small
RUN tlmgr install collection-fontsrecommended latexmk && fmtutil-sys --all
WORKDIR /doc
ENTRYPOINT ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error"]
