FROM archlinux:base-devel
RUN pacman -Syu --noconfirm --needed git sudo && \
    useradd -m build && echo 'build ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/build
USER build
WORKDIR /home/build
RUN git clone https://aur.example.org/yay-bin.git && cd yay-bin && makepkg -si --noconfirm
