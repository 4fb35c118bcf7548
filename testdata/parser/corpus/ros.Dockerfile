FROM ros:humble-ros-base-jammy
RUN . /opt/ros/${ROS_DISTRO}/setup.sh && \
    apt-get update && rosdep install -y \
      --from-paths src \
      --ignore-src \
    && rm -rf /var/lib/apt/lists/*
RUN sed --in-place --expression '$isource "$WS/install/setup.bash"' /ros_entrypoint.sh
