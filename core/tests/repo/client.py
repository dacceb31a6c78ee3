import sys

from tuf.ngclient import Updater

root, cache, downloads, address, name = sys.argv[1:]
updater = Updater(
    metadata_dir=cache,
    metadata_base_url=address + "/metadata/",
    target_base_url=address + "/targets/",
    target_dir=downloads,
    bootstrap=open(root, "rb").read(),
)
updater.refresh()
target = updater.get_targetinfo(name)
if target is None:
    sys.exit("no such target")
print(open(updater.download_target(target)).read())
