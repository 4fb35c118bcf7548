FROM continuumio/miniconda3:23.10.0-1
SHELL ["/bin/bash", "--login", "-c"]
COPY environment.yml /tmp/environment.yml
RUN conda env create -n job -f /tmp/environment.yml && conda clean -afy
RUN echo "conda activate job" >> ~/.bashrc
ENV CONDA_DEFAULT_ENV=job
COPY job /srv/job
ENTRYPOINT ["conda", "run", "--no-capture-output", "-n", "job", "python", "-m", "job"]
